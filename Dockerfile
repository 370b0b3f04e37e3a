# One image for every service of docker-compose.yml.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements-uv.lock requirements-run.lock ./
RUN python -m venv /app/.venv \
 && /app/.venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && /app/.venv/bin/uv pip install --no-cache --python /app/.venv/bin/python --require-hashes --compile-bytecode -r requirements-run.lock
COPY . .
RUN /app/.venv/bin/uv pip install --no-cache --python /app/.venv/bin/python --no-deps --no-build-isolation -e . \
 && /app/.venv/bin/python -m compileall -q bot3 bot3_assets execution dashboard telegram_bot

FROM python:3.11-slim-bookworm
# LightGBM needs OpenMP's runtime; backups of PostgreSQL its client, of the same version as the server of docker-compose.yml.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 postgresql-client-15 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10003 bot3 && useradd --uid 10003 --gid bot3 --create-home bot3 && install -d -o bot3 -g bot3 /data /backups
COPY --from=build --chown=root:root /app /app
USER bot3
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH BOT3_HOME=/data/home PYTHONUNBUFFERED=1
ENTRYPOINT ["/app/.venv/bin/python", "-m", "bot3.entrypoint"]
CMD ["bot3.cli.main", "status"]
