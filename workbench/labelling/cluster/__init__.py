"""Models at work on a Ray cluster: the pictures of a dataset in shares, one model for each actor.

1. This machine writes down what is to be done, and the weights, beside the dataset (`exchange`),
   and sends the cluster a job.
2. The job (`dispatcher`) hires actors on the nodes and gives each a share at a time; a share whose
   actor is lost goes to another one.
3. An actor (`actor`) loads the model once, reads its pictures from where the dataset lies, and
   writes what it found beside the dataset.
4. This machine (`client`) takes what was found as it comes. Where the job is gone, it sends another
   one for what is left.

Nothing of Ray is imported here: this machine speaks to the cluster's jobs, as for a training run.
"""
