"""A whole pipeline of trainings from one configuration: what is to be done, why, and the bundle that it ends in."""
