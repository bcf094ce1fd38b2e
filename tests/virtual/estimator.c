/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's estimator, unedited. */
#include "../../drivers/infiniband/hw/svan/estimate.c"
