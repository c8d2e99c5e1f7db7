"""The version, in a module of its own, so that what notes it down need not import the whole package."""

VERSION = "0.2.0.dev0"
