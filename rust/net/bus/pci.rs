// SPDX-License-Identifier: GPL-2.0

//! Network devices on the PCI bus.

use crate::{
    buffers::Kind,
    device::Parts,
    netdev::{
        Features,
        Operations, //
    },
    register::Registration, //
};
use kernel::{
    device::{
        Bound,
        Core, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    irq::IrqRequest,
    pci,
    prelude::*, //
};
use pp_bindings as bindings;

/// A driver of PCI network devices.
///
/// The framework enables the device, sets the DMA mask, gets interrupts and registers the network
/// device; the driver only makes its [`Operations`]. When the driver is unbound all of that is undone in
/// reverse order. Nothing of it is in the driver's hands, so nothing of it can be leaked there.
pub trait Driver {
    /// What is known about a device by its id.
    type IdInfo: 'static;
    /// The driver's device.
    type Ops<'bound>: Operations + 'bound;

    /// The devices that the driver knows.
    const ID_TABLE: pci::IdTable<Self::IdInfo>;
    /// Which memory the device can reach.
    const DMA_MASK: DmaMask;
    /// How the device may interrupt. Each queue pair has a vector, so without MSI-X there is one.
    const IRQ_TYPES: &'static [pci::IrqType] = &[pci::IrqType::Msi, pci::IrqType::Intx];

    /// Sets a device up, resets it, and says what it can do. Its registers can be read; it does no DMA before
    /// this returns, for it may still have the rings of another driver.
    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> Result<(Self::Ops<'bound>, Features)>;
}

/// Lets a [`Driver`] drive PCI devices. See [`module_pci_net_driver!`](crate::module_pci_net_driver).
pub struct Adapter<T: Driver>(T);

/// What belongs to a bound device. Dropped from the first to the last.
pub struct Device<'bound, T: Driver> {
    registration: Registration<'bound, T::Ops<'bound>>,
    _vectors: KBox<pci::IrqVectorRegistration<'bound>>,
    _enabled: Enabled<'bound>,
}

/// A PCI device that is enabled.
struct Enabled<'a>(&'a pci::Device<Bound>);

impl<'a> Enabled<'a> {
    fn new(pdev: &'a pci::Device<Core<'_>>) -> Result<Self> {
        pdev.enable_device_mem()?;
        Ok(Self(pdev))
    }
}

impl Drop for Enabled<'_> {
    fn drop(&mut self) {
        // CAST: `Device` is a transparent wrapper of `struct pci_dev`.
        let pdev = core::ptr::from_ref(self.0).cast_mut().cast();
        // SAFETY: The device is valid, and was enabled by `new()`.
        unsafe {
            bindings::pci_clear_master(pdev);
            bindings::pci_disable_device(pdev);
        }
    }
}

impl<T: Driver + 'static> pci::Driver for Adapter<T> {
    type IdInfo = T::IdInfo;
    type Data<'bound> = Device<'bound, T>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = T::ID_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let enabled = Enabled::new(pdev)?;
            // SAFETY: The driver has not seen the device yet, so nothing is mapped for it.
            unsafe { pdev.dma_set_mask_and_coherent(T::DMA_MASK)? };
            let (ops, features) = T::probe(pdev, info)?;
            let types = T::IRQ_TYPES
                .iter()
                .fold(pci::IrqTypes::default(), |types, &t| types.with(t));
            let queues = features.queues.clamp(1, kernel::cpu::nr_cpu_ids());
            let vectors = pdev.alloc_irq_vectors(1, queues, types)?;
            let vectors = KBox::new(vectors, GFP_KERNEL)?;
            let mut requests = KVec::with_capacity(vectors.len(), GFP_KERNEL)?;
            for index in 0..vectors.len() {
                // SAFETY: The vectors stay where they are, and go after the registration, which releases the
                // interrupts: see `Device`.
                let vectors: &'bound pci::IrqVectorRegistration<'bound> =
                    unsafe { &*core::ptr::from_ref(&*vectors) };
                requests.push(IrqRequest::from(vectors.index(index)?), GFP_KERNEL)?;
            }
            pdev.set_master();
            let parts = Parts {
                parent: pdev.as_ref(),
                vectors: requests,
                ops,
                features,
                buffers: Kind::chosen(pdev.as_ref()),
            };
            Ok(Ok::<_, Error>(Device {
                // SAFETY: The bus drops it before the device is unbound.
                registration: unsafe { Registration::new(parts) }?,
                _vectors: vectors,
                _enabled: enabled,
            }))
        })
    }

    /// While the device still has its power: dropping comes when the core may let it sleep already.
    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.registration.unregister();
    }
}

/// Declares a kernel module that is a [`Driver`].
#[macro_export]
macro_rules! module_pci_net_driver {
    ($($f:tt)*) => {
        ::kernel::module_driver!(
            <T>, ::kernel::pci::Adapter<$crate::bus::pci::Adapter<T>>, { $($f)* }
        );
    };
}
