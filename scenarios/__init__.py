"""The bundled scenarios, one short file each."""
