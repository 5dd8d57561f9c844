"""Networks: plain `torch.nn.Module`s without Lightning."""
