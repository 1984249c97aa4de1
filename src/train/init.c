#include <sigmatic/io/h5.h>
#include <sigmatic/train/init.h>

/* Started later, HDF5 would hook into MPI's end (sm_h5_begin). */
sm_comm *sm_init(int *argc, char ***argv)
{
    sm_h5_begin();
    sm_comm_begin(argc, argv);
    return sm_comm_world();
}

void sm_finalize(void)
{
    sm_comm_end();
}
