"""Every figure that fastmlp is held to, taken on this machine and printed beside its goals."""
