"""Words of other programs for keys of this one."""

MEANT = {
    "lr": "training.learning_rate",
    "batch": "data.batch_size",
    "batch_size": "data.batch_size",
    "bs": "data.batch_size",
    "workers": "data.num_workers",
    "model": "model.name",
    "arch": "model.name",
    "weights": "model.pretrained",
    "rank": "lora.r",
    "wd": "training.weight_decay",
    "warmup": "training.warmup_ratio",
    "amp": "hardware.mixed_precision",
    "fp16": "hardware.mixed_precision",
    "bf16": "hardware.mixed_precision",
    "precision": "hardware.mixed_precision",
    "threads": "hardware.num_threads",
    "smoothing": "training.label_smoothing",
}
"""What other programs call a key that means the same here."""
