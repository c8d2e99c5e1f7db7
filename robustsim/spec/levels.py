"""A level of each phase of a scenario, drawn: for the terminal, and for a notebook."""

import base64
import io
from html import escape
from typing import Any

import jax
import numpy as np
from PIL import Image

from robustsim import numerics
from robustsim.recording import Sign
from robustsim.types import Tree


def examples(scenario: Any) -> dict[str, Tree]:
    """The state at the beginning of a level of training and of one of deployment."""
    levels = {"training": scenario.training_levels, "deployment": scenario.deployment_levels}
    with numerics.precision(scenario.precision):
        return {
            title: jax.device_get(scenario.env.reset(jax.random.key(seed), distribution)[1])
            for seed, (title, distribution) in enumerate(levels.items())
        }


def drawings(scenario: Any) -> dict[str, str]:
    """Levels as text, by phase; none where the environment has no such drawing."""
    text = scenario.env.text
    return {} if text is None else {title: text(state) for title, state in examples(scenario).items()}


def in_words(legend: tuple[Sign, ...]) -> str:
    """What the characters of a drawing mean, one a line."""
    width = max((len(sign.symbol) for sign in legend), default=0)
    return "\n".join(f"  {sign.symbol:<{width}}  {sign.meaning}" for sign in legend)


def as_html(factory: Any) -> str:
    """A scenario as a notebook shows it: its claim, a level of each phase, and what is to be seen there."""
    scenario = factory(**factory.defaults)
    env = scenario.env
    shown = []
    if env.render is not None:
        for title, state in examples(scenario).items():
            shown.append(_figure(title, np.asarray(env.render(state, False), np.uint8)))
    else:
        shown = [f"<pre>a level of {t}:\n{escape(text)}</pre>" for t, text in drawings(scenario).items()]
    signs = "".join(f"<li>{_swatch(sign)} {escape(sign.meaning)}</li>" for sign in env.legend)
    key = f'<ul style="list-style:none;padding:0">{signs}</ul>' if signs else ""
    levels = f'<div style="display:flex;gap:16px">{"".join(shown)}</div>'
    return f"<p><b>{escape(factory.name)}</b>: {escape(factory.claim)}</p>{levels}{key}"


def _figure(title: str, image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    said = f"a level of {title}"
    picture = f'<img alt="{said}" src="data:image/png;base64,{data}">'
    return f'<figure style="margin:0">{picture}<figcaption>{said}</figcaption></figure>'


def _swatch(sign: Sign) -> str:
    round_ = "50%" if sign.shape == "disc" else "0"
    style = f"display:inline-block;width:12px;height:12px;border-radius:{round_};background:rgb{sign.colour}"
    return f'<span style="{style}"></span>'
