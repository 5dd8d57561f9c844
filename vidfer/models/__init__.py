"""Networks: plain `torch.nn.Module`s without Lightning. Importing the package itself imports no torch."""
