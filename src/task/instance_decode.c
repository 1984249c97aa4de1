#include "task/instance_decode.h"

#include <sigmatic/base/memory.h>

#include <math.h>

typedef struct bin {
    double x, y; /* sums of the votes */
    int votes;
} bin;

typedef struct accumulator {
    int rows, columns, bin_pixels;
    bin *bins;
} accumulator;

static int bin_index(double position, int bin_pixels, int bins)
{
    double index = floor((position + 0.5) / bin_pixels);
    return (int)fmin(fmax(index, 0), bins - 1);
}

static bin *bin_of(const accumulator *votes, double x, double y)
{
    int row = bin_index(y, votes->bin_pixels, votes->rows);
    int column = bin_index(x, votes->bin_pixels, votes->columns);
    return &votes->bins[row * votes->columns + column];
}

/* \return whether the pixel votes, and where. */
static int vote_of(const float *vectors, const uint8_t *thing, int width, size_t pixel, double *x, double *y)
{
    size_t row = pixel / (size_t)width, column = pixel % (size_t)width;
    *x = (double)column + vectors[2 * pixel];
    *y = (double)row + vectors[2 * pixel + 1];
    return (!thing || thing[pixel]) && !isnan(*x) && !isnan(*y);
}

/* \return the bin and the eight around it, together. */
static bin around(const accumulator *votes, int row, int column)
{
    bin sum = {0, 0, 0};
    for (int r = row - 1; r <= row + 1; r++) {
        for (int c = column - 1; c <= column + 1; c++) {
            if (r >= 0 && r < votes->rows && c >= 0 && c < votes->columns) {
                const bin *one = &votes->bins[r * votes->columns + c];
                sum.x += one->x;
                sum.y += one->y;
                sum.votes += one->votes;
            }
        }
    }
    return sum;
}

/* \return whether no bin within two has more votes; of equals the first in reading order wins. */
static int is_peak(const accumulator *votes, const bin *smooth, int row, int column)
{
    int here = row * votes->columns + column;
    for (int r = row - 2; r <= row + 2; r++) {
        for (int c = column - 2; c <= column + 2; c++) {
            if (r < 0 || r >= votes->rows || c < 0 || c >= votes->columns) {
                continue;
            }
            int there = r * votes->columns + c;
            if (smooth[there].votes > smooth[here].votes ||
                (there < here && smooth[there].votes == smooth[here].votes)) {
                return 0;
            }
        }
    }
    return 1;
}

static int find_peaks(const accumulator *votes, int least_votes, sm_instance_peak **peaks)
{
    int bins = votes->rows * votes->columns, count = 0;
    bin *smooth = sm_alloc((size_t)bins * sizeof *smooth);
    for (int i = 0; i < bins; i++) {
        smooth[i] = around(votes, i / votes->columns, i % votes->columns);
    }
    *peaks = NULL;
    for (int i = 0; i < bins; i++) {
        if (smooth[i].votes >= least_votes && is_peak(votes, smooth, i / votes->columns, i % votes->columns)) {
            *peaks = sm_realloc(*peaks, (size_t)(count + 1) * sizeof **peaks);
            (*peaks)[count++] = (sm_instance_peak){(float)(smooth[i].x / smooth[i].votes),
                                                   (float)(smooth[i].y / smooth[i].votes), smooth[i].votes};
        }
    }
    sm_free(smooth);
    return count;
}

static int nearest_peak(double x, double y, const sm_instance_peak *peaks, int count)
{
    int nearest = -1;
    double least = INFINITY;
    for (int i = 0; i < count; i++) {
        double distance = (peaks[i].x - x) * (peaks[i].x - x) + (peaks[i].y - y) * (peaks[i].y - y);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    return nearest;
}

int sm_instance_decode(int height, int width, const float *vectors, const uint8_t *thing, int bin_pixels,
                       int least_votes, int *labels, sm_instance_peak **peaks)
{
    size_t pixels = (size_t)height * (size_t)width;
    accumulator votes = {height / bin_pixels + 1, width / bin_pixels + 1, bin_pixels, NULL};
    double x, y;

    votes.bins = sm_alloc_zeroed((size_t)votes.rows * (size_t)votes.columns * sizeof *votes.bins);
    for (size_t i = 0; i < pixels; i++) {
        if (vote_of(vectors, thing, width, i, &x, &y)) {
            bin *chosen = bin_of(&votes, x, y);
            chosen->x += x;
            chosen->y += y;
            chosen->votes++;
        }
    }
    int count = find_peaks(&votes, least_votes > 0 ? least_votes : 1, peaks);
    for (size_t i = 0; i < pixels; i++) {
        labels[i] = vote_of(vectors, thing, width, i, &x, &y) ? nearest_peak(x, y, *peaks, count) : -1;
    }
    sm_free(votes.bins);
    return count;
}
