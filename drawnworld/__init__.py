"""A small drawn world in which the right answer to every edit is known.

Scenes of 64 x 64 pixels are data (``scene``), an edit changes the data (``edits``), and drawing the changed data
(``render``) gives the exact target. So an edit made by any model has a true score (``score``), mistakes can be planted
(``flaws``), and a whole data set can be written for import (``dataset``). Pure: standard library, NumPy, Pillow.
"""
