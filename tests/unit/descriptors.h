/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many file descriptors this process has open.
 */
#ifndef TESTS_UNIT_DESCRIPTORS_H
#define TESTS_UNIT_DESCRIPTORS_H

#include <dirent.h>

static inline unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

#endif /* TESTS_UNIT_DESCRIPTORS_H */
