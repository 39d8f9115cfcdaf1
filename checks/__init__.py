"""The judgement: facts in, verdicts out. A pure library without Django, Celery or a database."""
