"""Counts the devices that Slurm made visible, as ROCm would."""

import os


def device_count() -> int:
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        value = os.environ.get(name)
        if value is not None:
            return len([device for device in value.split(",") if device.strip()])
    return int(os.environ.get("FAKE_GPUS", "0"))


def is_available() -> bool:
    return device_count() > 0


def set_device(device) -> None:
    index = getattr(device, "index", device)
    if (index or 0) >= device_count():
        raise RuntimeError(f"there is no device {index}: {device_count()} can be seen")
