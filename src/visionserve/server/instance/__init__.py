"""One TorchServe: started, proven, ended."""
