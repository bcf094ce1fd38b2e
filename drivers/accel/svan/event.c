// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: vector 0 tells of faults, vector 1 + n is that of context n. They signal
 * eventfds of the users.
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>

#include "svan_accel.h"

void svan_accel_event_signal(struct svan_accel_slot *slot, u32 kind)
{
	unsigned long flags;

	spin_lock_irqsave(&slot->lock, flags);
	if (slot->events[kind])
		eventfd_signal(slot->events[kind]);
	spin_unlock_irqrestore(&slot->lock, flags);
}

static void svan_accel_event_set(struct svan_accel_slot *slot, u32 kind,
				 struct eventfd_ctx *event)
{
	spin_lock_irq(&slot->lock);
	swap(slot->events[kind], event);
	spin_unlock_irq(&slot->lock);
	if (event)
		eventfd_ctx_put(event);
}

void svan_accel_events_clear(struct svan_accel_slot *slot)
{
	u32 kind;

	for (kind = 0; kind < SVAN_ACCEL_EVENTS; kind++)
		svan_accel_event_set(slot, kind, NULL);
}

int svan_accel_event_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_svan_accel_event *args = data;
	struct eventfd_ctx *event = NULL;

	if (args->kind >= SVAN_ACCEL_EVENTS || args->fd < -1)
		return -EINVAL;
	if (args->fd != -1)
		event = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	svan_accel_event_set(svan_accel_slot(file->driver_priv), args->kind, event);
	return 0;
}

/* ---- interrupts ---- */

static irqreturn_t svan_accel_queue_irq(int irq, void *data)
{
	svan_accel_event_signal(data, DRM_SVAN_ACCEL_EVENT_QUEUE);
	return IRQ_HANDLED;
}

/* Is this a fault of which the user has not been told? */
static bool svan_accel_is_news(struct svan_accel_slot *slot)
{
	u32 reg = SVAN_ACCEL_REG_CTX(slot->number, SVAN_ACCEL_CTX_STATE);
	bool news;

	/*
	 * The state is read under the lock, so that a fault from before a reset of the
	 * context is not noted as told behind it.
	 */
	spin_lock_irq(&slot->lock);
	news = !slot->told &&
	       svan_accel_read(slot->dev, reg) == SVAN_ACCEL_CTX_FAULTED;
	if (news)
		slot->told = true;
	spin_unlock_irq(&slot->lock);
	return news;
}

/*
 * In a thread, as it reads a register of each context that is in a fault of which the user
 * has not been told. The device bounds how often it interrupts.
 */
static irqreturn_t svan_accel_fault_irq(int irq, void *data)
{
	struct svan_accel_dev *dev = data;
	u64 faults = svan_accel_read64(dev, SVAN_ACCEL_REG_FAULTS);
	u32 i;

	for (i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
		if (faults >> i & 1 && svan_accel_is_news(&dev->slots[i]))
			svan_accel_event_signal(&dev->slots[i],
						DRM_SVAN_ACCEL_EVENT_FAULT);
	}
	return IRQ_HANDLED;
}

static int svan_accel_slot_request(struct svan_accel_dev *dev, u32 number)
{
	struct svan_accel_slot *slot = &dev->slots[number];

	slot->dev = dev;
	slot->number = number;
	spin_lock_init(&slot->lock);
	snprintf(slot->name, sizeof(slot->name), "svan_accel-%u@%s", number,
		 pci_name(dev->pdev));
	return devm_request_irq(&dev->pdev->dev, pci_irq_vector(dev->pdev, 1 + number),
				svan_accel_queue_irq, 0, slot->name, slot);
}

int svan_accel_irqs_request(struct svan_accel_dev *dev)
{
	struct pci_dev *pdev = dev->pdev;
	int err;
	u32 i;

	err = pci_alloc_irq_vectors(pdev, SVAN_ACCEL_MSIX_COUNT, SVAN_ACCEL_MSIX_COUNT,
				    PCI_IRQ_MSIX);
	if (err < 0)
		return dev_err_probe(&pdev->dev, err, "no interrupt vectors\n");
	for (i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
		err = svan_accel_slot_request(dev, i);
		if (err)
			return err;
	}
	return devm_request_threaded_irq(&pdev->dev, pci_irq_vector(pdev, 0), NULL,
					 svan_accel_fault_irq, IRQF_ONESHOT, KBUILD_MODNAME,
					 dev);
}
