"""Who is responsible for a failure: the deployment's feedback, the training's, or neither? (theory C)

The case and what might have prevented it are run as one resumable plan: each lever is a sweep of one configuration in
its own folder, which grows by seeds until the tree of :mod:`robustsim.analysis.tree` is sure of its label.
"""
