# The GPU queue's worker: the same program with torch. The wheel of the package index brings its own CUDA libraries;
# the host needs NVIDIA's driver and its container toolkit. Without a GPU it runs on the processor.
# Build from the repository's root: docker build -f docker/gpu.Dockerfile -t editloop-gpu .
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    EDITLOOP_VAR=/var/lib/editloop

# The same user number as in the web image: both write to one volume.
RUN groupadd --system --gid 10001 editloop \
    && useradd --system --uid 10001 --gid editloop --home-dir /var/lib/editloop --shell /usr/sbin/nologin editloop \
    && install -d -o editloop -g editloop /var/lib/editloop

WORKDIR /app
# torch is large and changes rarely: a layer of its own, before the others.
COPY requirements/gpu.txt requirements/gpu.txt
RUN pip install --requirement requirements/gpu.txt
COPY requirements/web.txt requirements/web.txt
RUN pip install --requirement requirements/web.txt

COPY . .
RUN python -m compileall -q webapp annotation scoring training drawnworld

USER 10001:10001
VOLUME /var/lib/editloop
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "scripts.health", "gpu"]
CMD ["python", "-m", "celery", "-A", "webapp.celery", "worker", "--pool", "threads", "--loglevel", "info", "--without-mingle", "--without-gossip", "-c", "1", "-Q", "gpu", "-n", "gpu@%h"]
