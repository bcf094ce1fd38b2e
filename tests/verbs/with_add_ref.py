#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""with_add_ref.py PROGRAM [ARGUMENT...]: run PROGRAM, a Python script, with a pyverbs whose
dma-bufs can be registered.

DmaBufMR.__init__() of rdma-core 56 calls dmabuf.add_ref(), which dmabuf.pyx declares with
"cdef" instead of "cpdef". So Python does not find it, and each registration ends in an
AttributeError after ibv_reg_dmabuf_mr() has succeeded, whatever device the memory is of.
Neither file is changed here: the type gets the method at run time.
"""

import ctypes
import gc
import os
import runpy
import sys

# As for PROGRAM itself; and pyverbs.py beside this file is not the package.
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[1]))
from pyverbs.dmabuf import DmaBuf  # pylint: disable=wrong-import-position


def add_ref(_self, _mr):
    """Nothing: the MR keeps its dma-buf, and closes it after itself."""


def main():
    if not hasattr(DmaBuf, "add_ref"):
        # a type of C cannot be assigned to, but its dictionary is one like others
        gc.get_referents(DmaBuf.__dict__)[0]["add_ref"] = add_ref
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(DmaBuf))
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
