/** \file
 * What each rank last said of itself, readable by the others of its node; and, as lines of text, by all. */
#ifndef SIGMATIC_COMM_BOARD_H
#define SIGMATIC_COMM_BOARD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SM_BOARD_TEXT = 32 };

typedef struct sm_board_entry {
    char phase[SM_BOARD_TEXT];
    int64_t step, detail;        /**< detail -1 = none */
    double since_seconds;        /**< sm_seconds(), one clock on a node */
    char waiting[SM_BOARD_TEXT]; /**< "" = computes */
    int64_t bucket, buckets;     /**< waited for; 0 = none */
    double waiting_since_seconds;
    uint64_t collectives; /**< entered */
} sm_board_entry;

/** A place on the board: written by one rank, read by any of the node at any time. */
typedef struct sm_board_place sm_board_place;

/** The places of the ranks of a node. */
typedef struct sm_board {
    sm_board_place **place; /**< NULL where this rank does not see another's */
    int *ranks;             /**< their ranks in the world */
    int count;
} sm_board;

/** What is known of a rank. */
typedef struct sm_board_sighting {
    sm_board_entry entry;
    double heard_seconds; /**< when, sm_seconds(); 0 = never */
} sm_board_sighting;

size_t sm_board_place_bytes(void);
void sm_board_write(sm_board_place *place, const sm_board_entry *entry);
void sm_board_read(const sm_board_place *place, sm_board_entry *entry);

/** \return 1 for the first caller of the node. */
int sm_board_claim(sm_board_place *place);

/** One line; times as ages, so that another clock can read it. */
void sm_board_print(FILE *file, int rank, const sm_board_entry *entry, double now_seconds);
/** \param add_seconds  age of the line itself
 * \return 0 if it is no such line */
int sm_board_parse(const char *line, int *rank, sm_board_entry *entry, double now_seconds, double add_seconds);

#endif
