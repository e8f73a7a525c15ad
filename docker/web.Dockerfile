# Two images: `web`, the program without torch (web server, default queue's worker), and `proxy`, nginx before it.
# Build from the repository's root: docker build -f docker/web.Dockerfile --target web -t editloop-web .
FROM python:3.11-slim-bookworm AS web

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    EDITLOOP_VAR=/var/lib/editloop

RUN groupadd --system --gid 10001 editloop \
    && useradd --system --uid 10001 --gid editloop --home-dir /var/lib/editloop --shell /usr/sbin/nologin editloop \
    && install -d -o editloop -g editloop /var/lib/editloop

WORKDIR /app
COPY requirements/web.txt requirements/web.txt
RUN pip install --requirement requirements/web.txt

COPY . .
# Compiled once here; the files stay root's, so the running user cannot change the program.
# The files that the proxy serves are collected at the build: into the image, not into the data.
RUN python -m compileall -q webapp annotation scoring training drawnworld \
    && EDITLOOP_VAR=/tmp/build EDITLOOP_SECRET_KEY=build python manage.py collectstatic --noinput --verbosity 0 \
    && mv /tmp/build/static /app/collected \
    && rm -rf /tmp/build

USER 10001:10001
VOLUME /var/lib/editloop
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "scripts.health", "web"]
CMD ["python", "-m", "uvicorn", "webapp.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--timeout-graceful-shutdown", "5", "--proxy-headers", "--forwarded-allow-ips", "*"]

# The proxy: nginx without root, with the collected static files inside.
FROM nginxinc/nginx-unprivileged:1.28-alpine AS proxy
COPY docker/nginx.conf /etc/nginx/conf.d/default.conf
COPY --from=web /app/collected /usr/share/nginx/static
USER 101
HEALTHCHECK --interval=10s --timeout=5s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/proxy-health"]
