"""The judgement, one file per topic."""
