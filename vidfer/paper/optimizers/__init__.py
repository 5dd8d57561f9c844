"""The paper's five optimizers compared, on test surfaces and on a classifier."""
