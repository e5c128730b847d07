# The product and nothing else: no database servers, no test tools, no compiler (every dependency has a wheel).
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# By itself, so that a change of code does not install everything anew.
COPY requirements.txt .
RUN pip install --require-hashes -r requirements.txt

# .dockerignore lets in what the product consists of.
COPY . .
RUN python -m compileall -q . && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app
USER 10001

EXPOSE 5000
CMD ["sanic", "app", "--host", "0.0.0.0", "--port", "5000", "--workers", "2"]
