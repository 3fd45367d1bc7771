"""Ask a server for the forecast of one .npy sample; wait and retry when it says so."""

import sys
import time
from pathlib import Path

import httpx


def forecast(address: str, sample: bytes, attempts: int = 5) -> dict[str, object]:
    """Return the forecast, or raise httpx.HTTPStatusError."""
    headers = {"Content-Type": "application/octet-stream"}
    for _ in range(attempts):
        answer = httpx.post(f"{address}/predict_npy", content=sample, headers=headers, timeout=60)
        if answer.status_code != 503:  # no model yet, or at its limit
            break
        time.sleep(float(answer.headers.get("Retry-After", 5)))
    return answer.raise_for_status().json()


if __name__ == "__main__":
    address, path = sys.argv[1:]
    print(forecast(address, Path(path).read_bytes()))
