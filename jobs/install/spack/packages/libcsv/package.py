from spack.package import *

try:  # Spack from 1.0 on keeps its build systems there; before, spack.package has them
    from spack_repo.builtin.build_systems.autotools import AutotoolsPackage
except ImportError:
    pass


class Libcsv(AutotoolsPackage):
    """Small library that reads and writes CSV."""

    homepage = "https://github.com/rgamble/libcsv"
    git = "https://github.com/rgamble/libcsv.git"

    license("LGPL-2.1-or-later")

    version("3.0.3", commit="b1d5212831842ee5869d99bc208a21837e4037d5")

    depends_on("c", type="build")

    @run_before("configure")
    def set_times(self):
        """git keeps no times: without this make would want automake."""
        Executable("sh")("fix-timestamps.sh")
