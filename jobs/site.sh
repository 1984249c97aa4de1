# What this site is like: sourced by submit.sh and local.sh, and by every job where it runs. Edit it, or name another file:
#     export SIGMATIC_SITE=$HOME/my_site.sh
# All of it may stay as it is. What the command line or the environment says goes before what stands here.

# ---- where jobs go: options of sbatch for every job that jobs/submit.sh hands in ---------------------------------------
sbatch_flags=()
#sbatch_flags=(--partition=standard --account=my_project --qos=normal --time=12:00:00)

# ---- programs ----------------------------------------------------------------------------------------------------------
# By modules (Environment Modules or Lmod), as the program was built with. Batch shells of some sites lack the command:
# their manual says which file brings it, often /etc/profile.d/modules.sh or /etc/profile.d/lmod.sh.
#command -v module >/dev/null || . /etc/profile.d/modules.sh
#module purge
#module load gcc openmpi hdf5
#module use "$HOME/modules" && module load sigmatic       # jobs/install/modules has the module file

# By Spack: a package, or an environment.
#. "$HOME/spack/share/spack/setup-env.sh"
#spack load sigmatic                                      # jobs/install/spack has the package
#spack env activate sigmatic

# The program, where it is neither build/current/sigmatic of this clone nor found in PATH.
#SIGMATIC=${SIGMATIC:-$HOME/sigmatic/bin/sigmatic}

# ---- what starts the ranks of a Slurm job ------------------------------------------------------------------------------
# Unset: srun where it speaks PMIx, else Open MPI's mpirun; both are given ranks, cores and binding. Or all of a command:
#LAUNCHER=${LAUNCHER:-srun}
#LAUNCHER=${LAUNCHER:-srun --mpi=cray_shasta -K1 --cpu-bind=cores}     # Cray MPICH
#LAUNCHER=${LAUNCHER:-srun --mpi=pmi2 -K1 --cpu-bind=cores}            # MPICH, MVAPICH, Intel MPI with I_MPI_PMI_LIBRARY
#LAUNCHER=${LAUNCHER:-mpiexec.hydra -bind-to core}                     # MPICH's or Intel's own

# ---- network -----------------------------------------------------------------------------------------------------------
#export OMPI_MCA_btl_tcp_if_include=ib0 OMPI_MCA_oob_tcp_if_include=eth0   # Open MPI without UCX, several networks
#export UCX_TLS=rc,sm,self                                                 # Open MPI with UCX over InfiniBand
