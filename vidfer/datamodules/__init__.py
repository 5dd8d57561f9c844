"""LightningDataModules: data sets cut into batches, and augmentation on whole batches."""
