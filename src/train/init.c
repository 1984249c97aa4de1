#include <sigmatic/io/h5.h>
#include <sigmatic/ops/isa.h>
#include <sigmatic/train/init.h>

/* Started later, HDF5 would hook into MPI's end (sm_h5_begin). What is wrong with the instruction set, the first session says
 * on all ranks (isa_agreement.h). */
sm_comm *sm_init(int *argc, char ***argv)
{
    (void)sm_isa_begin();
    sm_h5_begin();
    sm_comm_begin(argc, argv);
    return sm_comm_world();
}

void sm_finalize(void)
{
    sm_comm_end();
}
