"""Reading data sets that come from outside: manifest, files and images, all taken to be hostile.

Pure: standard library, Pillow and NumPy alone. Nothing here writes; the services of ``annotation`` do, once a plan has
no problem. Names in refused[...] of a source, problems of a plan and ImportProblem are what the user gets to read.
"""
