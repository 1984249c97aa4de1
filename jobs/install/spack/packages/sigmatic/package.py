import os

from spack.package import *

try:  # Spack from 1.0 on keeps its build systems there; before, spack.package has them
    from spack_repo.builtin.build_systems.makefile import MakefilePackage
except ImportError:
    pass

# The clone that this file lies in: CLONE/jobs/install/spack/packages/sigmatic/package.py
CLONE = os.path.abspath(os.path.join(os.path.dirname(os.path.realpath(__file__)), *[os.pardir] * 5))


class Sigmatic(MakefilePackage):
    """Multi-task training that weighs its own losses, data-parallel over MPI."""

    git = "file://" + CLONE

    license("Apache-2.0")

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi@3.1:")
    depends_on("blis threads=openmp")
    depends_on("hdf5")
    depends_on("jansson")
    depends_on("libcsv")
    depends_on("libexif")
    depends_on("libjpeg-turbo")
    depends_on("libpng")

    def settings(self):
        """Of make: where pkg-config would not tell, or the Makefile would ask Debian."""
        libraries = {"HDF5": "hdf5", "BLIS": "blis"}
        words = ["SETUP=no", "CC=" + self.spec["mpi"].mpicc, "PREFIX=" + self.prefix]
        for name, package in libraries.items():
            words.append(f"{name}_CFLAGS={self.spec[package].headers.include_flags}")
            words.append(f"{name}_LIBS={self.spec[package].libs.ld_flags}")
        return words

    def edit(self, spec, prefix):
        pass  # the Makefile takes everything on its command line

    @property
    def build_targets(self):
        return self.settings()

    @property
    def install_targets(self):
        return ["install"] + self.settings()

    @run_after("install")
    def check_version(self):
        Executable(self.prefix.bin.sigmatic)("--version")
