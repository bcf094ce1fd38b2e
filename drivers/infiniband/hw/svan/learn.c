// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use of the estimator. It learns from the faults that are served. Its estimates reach
 * the device in PENDING responses, in absent entries and in the location table.
 */

#include <linux/dma-mapping.h>

#include "svan_odp.h"

/* time from a new sample until the location table is written again */
#define SVAN_LEARN_INTERVAL	(HZ / 10)

/**
 * svan_learn_get - how long a page will take
 * @dev: the device
 * @place: where the page is
 *
 * Return: nanoseconds, or 0 if that is unknown.
 */
u64 svan_learn_get(struct svan_ib_dev *dev, const struct svan_place *place)
{
	struct svan_learn *learn = &dev->learn;
	u64 ns;

	spin_lock_bh(&learn->lock);
	ns = svan_est_get(&learn->est, place->fault_class, place->key);
	spin_unlock_bh(&learn->lock);
	return ns;
}

/* The absent entry for a class of faults, with the estimate for the whole class. */
u64 svan_learn_absent(struct svan_ib_dev *dev, u32 fault_class)
{
	struct svan_place place = {
		.fault_class = fault_class,
		.key = SVAN_EST_ANY,
	};

	return svan_mtt_absent(fault_class, svan_learn_get(dev, &place));
}

/**
 * svan_learn_add - learn from a page that has come
 * @dev: the device
 * @place: where it was
 * @estimate: time that the device was told, in ns
 * @actual: time that it took, in ns
 */
void svan_learn_add(struct svan_ib_dev *dev, const struct svan_place *place,
		    u64 estimate, u64 actual)
{
	struct svan_learn *learn = &dev->learn;

	spin_lock_bh(&learn->lock);
	svan_est_add(&learn->est, place->fault_class, place->key, estimate,
		     actual);
	spin_unlock_bh(&learn->lock);
	if (learn->locations)
		schedule_delayed_work(&learn->refresh, SVAN_LEARN_INTERVAL);
}

/*
 * Write the location table. One table serves all process contexts, since the time of
 * a page depends on where it is and not on whose it is.
 */
static void svan_learn_tell(struct svan_ib_dev *dev)
{
	__le64 *words = dev->learn.locations;
	struct svan_place place = {};
	u32 i;

	if (!words)
		return;
	for (i = 0; i < SVAN_LOCATION_COUNT; i++) {
		svan_classify_location(i, &place);
		WRITE_ONCE(words[i],
			   cpu_to_le64(svan_mtt_absent(place.fault_class,
						       svan_learn_get(dev, &place))));
	}
}

/**
 * svan_learn_add_locations - make the location table
 * @dev: the device; it finds the address of the table in each process context
 *
 * Return: 0 or an error.
 */
int svan_learn_add_locations(struct svan_ib_dev *dev)
{
	struct svan_learn *learn = &dev->learn;

	BUILD_BUG_ON(SVAN_LOCATION_COUNT * sizeof(*learn->locations) > PAGE_SIZE);
	learn->locations = dma_alloc_coherent(svan_ib_dma_device(dev), PAGE_SIZE,
					      &learn->locations_dma, GFP_KERNEL);
	if (!learn->locations)
		return -ENOMEM;
	svan_learn_tell(dev);
	return 0;
}

/* Free the location table. The device does not read it any more. */
void svan_learn_free_locations(struct svan_ib_dev *dev)
{
	struct svan_learn *learn = &dev->learn;

	dma_free_coherent(svan_ib_dma_device(dev), PAGE_SIZE, learn->locations,
			  learn->locations_dma);
	learn->locations = NULL;
}

void svan_learn_reset(struct svan_ib_dev *dev)
{
	struct svan_learn *learn = &dev->learn;

	spin_lock_bh(&learn->lock);
	svan_est_reset(&learn->est);
	spin_unlock_bh(&learn->lock);
	svan_learn_tell(dev);
}

void svan_learn_set_percentile(struct svan_ib_dev *dev, u32 percentile)
{
	spin_lock_bh(&dev->learn.lock);
	WRITE_ONCE(dev->learn.est.percentile, percentile);
	spin_unlock_bh(&dev->learn.lock);
	svan_learn_tell(dev);
}

static void svan_learn_refresh(struct work_struct *work)
{
	struct svan_ib_dev *dev = container_of(work, struct svan_ib_dev,
					       learn.refresh.work);

	svan_learn_tell(dev);
}

void svan_learn_init(struct svan_ib_dev *dev)
{
	struct svan_learn *learn = &dev->learn;

	spin_lock_init(&learn->lock);
	INIT_DELAYED_WORK(&learn->refresh, svan_learn_refresh);
	svan_est_reset(&learn->est);
}

/* Faults that are still under way may add samples, which have no effect any more. */
void svan_learn_exit(struct svan_ib_dev *dev)
{
	disable_delayed_work_sync(&dev->learn.refresh);
}
