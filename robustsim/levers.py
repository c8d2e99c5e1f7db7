"""The names of the levers of attribution: what might have prevented a failure (theory C)."""

ACTUAL = "actual"  # the case itself, with its unopposed arm and its reference agents
REFERENCE = "reference"  # new agents under the strongest perfect feedback
GUARDED = "guarded"  # tampering has no effect
BEST, STRONG = "best", "best-strong"  # the best overseer, with the case's own penalty and with the largest
REWARDS, REWARDS_LATE = "rewards", "rewards-late"  # its feedback in training, then the case's own overseer
REWARDS_BEST, REWARDS_LATE_BEST = "rewards-best", "rewards-late-best"  # and then the best overseer
REWARDS_MILD, REWARDS_MILD_BEST = "rewards-mild", "rewards-mild-best"  # with the case's own penalty

SHARES = (0.02, 0.1, 0.5)  # of training levels that tell goal and proxy apart
LEVELS = {f"levels-{share:g}": share for share in SHARES}

# What a winning lever is reduced to, in search of the cheapest: the share of episodes that are judged in deployment,
# and the share of the training after which feedback begins.
COVERAGES = (0.01, 0.03, 0.1, 0.3)
STARTS = (0.75, 0.5, 0.25, 0.1, 0.03)

LEVELS_BEST, LEVELS_REWARDS, LEVELS_BOTH = "levels-best", "levels-rewards", "levels-rewards-best"
SOME_LEVELS = "levels-0.1"  # the share that those have

# What each set of families comes to, for their shares of the gain: feedback in deployment, in training, other levels.
SETS = {
    frozenset({"deployment"}): STRONG,
    frozenset({"training"}): REWARDS,
    frozenset({"levels"}): SOME_LEVELS,
    frozenset({"deployment", "training"}): REWARDS_BEST,
    frozenset({"deployment", "levels"}): LEVELS_BEST,
    frozenset({"training", "levels"}): LEVELS_REWARDS,
    frozenset({"deployment", "training", "levels"}): LEVELS_BOTH,
}

IN_DEPLOYMENT = (BEST, STRONG)
IN_TRAINING = (REWARDS, REWARDS_LATE, REWARDS_MILD, REWARDS_BEST, REWARDS_LATE_BEST, REWARDS_MILD_BEST)
