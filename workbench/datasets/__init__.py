"""Business logic over the stores; knows no widgets and touches no dataset files itself."""
