"""Undertone's training program: corpora in, a bundle for the device out.

A module imports from its own layer and from those below it, never from one above it, and no
imports form a circle.

==================================  ===========================================================
layer                               contents
==================================  ===========================================================
cli                                 the commands: arguments in, library calls, output
references                          published systems as recipes, with features and networks
making                              from corpora to a bundle: every stage, in order
search, promotion                   the search for recipes; from an evaluated run to a bundle
report                              figures as pages, pictures, tables and model cards
detection                           the speech detector: its training, and how the gate is measured
evaluation                          predictions of runs and bundles for held-out clips
export                              int8 conversion, and the bundle
learning                            data set, targets, the training of one run, its calibration
features, networks                  from clips to cached MFCC; from a recipe to a Keras model
corpora                             clips with their labels, splits, noise, synthetic sounds
bundles                             the bundles that ship, with the recipe of each
recipe, metrics                     what makes a model; how good its predictions are
jobs                                where jobs run: processes of this machine, or a Dask cluster
cluster, job_process, lease         what jobs need: a scheduler, a process, somebody who waits
object_storage                      local copies of what is in a bucket
lazy                                sequences whose items are made when they are asked for
errors, progress, tensorflow_loader what everything uses
==================================  ===========================================================
"""
