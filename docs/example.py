# %% [markdown]
# # Is the goal gone, or only hidden?
# A notebook in plain Python: it runs as a script, and editors that know `# %%` cells (Jupyter with Jupytext, VS Code,
# marimo's importer) open it as a notebook. The settings are small; it takes about a minute.

# %%
from typing import Any

import robustsim as rs

small: dict[str, Any] = {"training.steps": 1000, "deployment.budget": 300, "deployment.relapse_steps": 0}

# %% [markdown]
# Four agents trained to take gold, watched half of the time, with a signal that shows when and without.

# %%
sweep = rs.Sweep("camera_vault", over={"overseer.visible": [True, False]}, seeds=4, settings=small)
results = sweep.run()
results.spectrum()  # one row per configuration

# %%
results.runs.select("overseer.visible", "seed", "steps_to_suppress", "steps_to_correct", "concealment")

# %% [markdown]
# Every figure is a function of a table and returns a matplotlib Figure.

# %%
figure = results.plot(figure="traces")
figure

# %% [markdown]
# Tables are polars DataFrames.

# %%
shown = results.where({"overseer.visible": True}).summary()
hidden = results.where({"overseer.visible": False}).summary()
for name, answer in (("signal visible", shown), ("signal hidden", hidden)):
    print(f"{name}: suppressed after {answer['steps_to_suppress']['median']}, "
          f"corrected after {answer['steps_to_correct']['median']} gradient steps")  # fmt: skip
