/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits of the simulation's scenarios.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "world.h"

#define SIM_MAX_NODES   8
#define SIM_PAGE        4096u

#endif /* SIM_SIM_H */
