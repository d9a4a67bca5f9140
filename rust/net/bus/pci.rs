// SPDX-License-Identifier: GPL-2.0

//! Network devices on the PCI bus.

use super::power;
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
///
/// # Examples
///
/// ```
/// use kernel::{device::Core, dma::DmaMask, io::Io, pci, prelude::*};
/// use net::{
///     bus,
///     netdev::{Features, Rings},
/// };
/// # use net::netdev::{Config, Events, Operations, Ring, Side};
/// # use net::desc::{Completed, RxDescriptor, Segment, TxDescriptor, Words};
/// # struct Rx;
/// # // SAFETY: Only compiled: no card has this format, and no code runs that believes it.
/// # unsafe impl RxDescriptor for Rx {
/// #     const BUFFER: usize = 2048;
/// #     fn post(addr: u64) -> Words { [addr, 0] }
/// #     fn completed(_: impl Fn(usize) -> u64) -> Option<Completed> { None }
/// # }
/// # struct Tx;
/// # // SAFETY: Only compiled: no card has this format, and no code runs that believes it.
/// # unsafe impl TxDescriptor for Tx {
/// #     fn fill(segment: &Segment) -> Words { [segment.addr, 0] }
/// #     fn sent(_: impl Fn(usize) -> u64) -> bool { false }
/// # }
/// # #[vtable]
/// # impl Operations for Card<'_> {
/// #     type Rx = Rx;
/// #     type Tx = Tx;
/// #     fn start(&self, _: &Config) -> Result { Ok(()) }
/// #     fn start_ring(&self, _: &Ring) -> Result { Ok(()) }
/// #     fn stop(&self) {}
/// #     fn doorbell(&self, _: Side, _: usize, _: u32) {}
/// #     fn interrupt(&self, _: usize) -> Events { Events::default() }
/// #     fn unmask(&self, _: usize) {}
/// # }
///
/// /// It implements [`Operations`](net::netdev::Operations).
/// struct Card<'bound> {
///     bar: pci::Bar<'bound, 0x80>,
/// }
///
/// struct Driver;
///
/// kernel::pci_device_table!(
///     TABLE,
///     <Driver as bus::pci::Driver>::IdInfo,
///     [(pci::DeviceId::from_id(pci::Vendor::REDHAT, 0x7fff), ())]
/// );
///
/// impl bus::pci::Driver for Driver {
///     type IdInfo = ();
///     type Ops<'bound> = Card<'bound>;
///
///     const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;
///     const DMA_MASK: DmaMask = DmaMask::new::<64>();
///
///     fn probe<'bound>(
///         pdev: &'bound pci::Device<Core<'_>>,
///         _info: Option<&'bound ()>,
///     ) -> Result<(Card<'bound>, Features)> {
///         let bar: pci::Bar<'_, 0x80> = pdev.iomap_region_sized(0, c"card")?;
///         let [a, b, c, d] = bar.read32(0x08).to_le_bytes();
///         let [e, f, ..] = bar.read32(0x0c).to_le_bytes();
///         let features = Features {
///             mac: [a, b, c, d, e, f],
///             queues: 1,
///             rings: Rings { rx: 256, tx: 256 },
///             ring_sizes: 80..=1024,
///             ring_multiple: 1,
///             tx_frame: 9216,
///             rx_frame: 2048,
///             rx_checksum: false,
///             link_modes: &[],
///             eeprom: 0,
///         };
///         Ok((Card { bar }, features))
///     }
/// }
///
/// net::module_pci_net_driver! {
///     type: Driver,
///     name: "card",
///     authors: ["Somebody"],
///     description: "Driver of a card",
///     license: "GPL",
/// }
/// # fn main() {}
/// ```
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
    /// Whether there is one vector more than queue pairs, the last one, for what is not about packets.
    const OTHER_VECTOR: bool = false;

    /// Sets a device up, resets it, and says what it can do.
    ///
    /// Its registers can be read; it does no DMA before this returns, for it may still have the rings of another
    /// driver.
    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> Result<(Self::Ops<'bound>, Features)>;
}

/// Lets a [`Driver`] drive PCI devices. See [`module_pci_net_driver!`](crate::module_pci_net_driver).
pub struct Adapter<T: Driver>(T);

/// What belongs to a bound device. Dropped from the first to the last.
pub struct Device<'bound, T: Driver> {
    pub(super) registration: Registration<'bound, T::Ops<'bound>>,
    _vectors: KBox<pci::IrqVectorRegistration<'bound>>,
    _enabled: Enabled<'bound>,
}

/// A PCI device that is enabled.
///
/// # Invariants
///
/// The device was enabled by [`new`](Self::new), and dropping this disables it.
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
        // SAFETY: The device is valid as long as it is borrowed. By the type invariant it was enabled, and this
        // undoes it once. It does no DMA any more: `Device` drops the registration before this.
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
            // SAFETY: Nobody allocates or maps memory for the device at the same time: its driver has not seen it
            // yet, and no other has it.
            unsafe { pdev.dma_set_mask_and_coherent(T::DMA_MASK)? };
            let (ops, features) = T::probe(pdev, info)?;
            let types = T::IRQ_TYPES
                .iter()
                .fold(pci::IrqTypes::default(), |types, &t| types.with(t));
            let queues = features.queues.clamp(1, kernel::cpu::nr_cpu_ids());
            let other = u32::from(T::OTHER_VECTOR);
            let vectors = pdev.alloc_irq_vectors(1 + other, queues + other, types)?;
            let vectors = KBox::new(vectors, GFP_KERNEL)?;
            let mut requests = KVec::with_capacity(vectors.len(), GFP_KERNEL)?;
            for index in 0..vectors.len() {
                // SAFETY: The vectors are on the heap, and stay there when the box is moved. They go after the
                // registration, which releases the interrupts, by the order of the fields of `Device`, and after
                // `requests` if this fails.
                let vectors: &'bound pci::IrqVectorRegistration<'bound> =
                    unsafe { &*core::ptr::from_ref(&*vectors) };
                requests.push(IrqRequest::from(vectors.index(index)?), GFP_KERNEL)?;
            }
            pdev.set_master();
            power::save_state(pdev);
            let parts = Parts {
                parent: pdev.as_ref(),
                vectors: requests,
                other_vector: T::OTHER_VECTOR,
                ops,
                features,
                buffers: Kind::chosen(pdev.as_ref()),
            };
            Ok(Ok::<_, Error>(Device {
                // SAFETY: The result is not forgotten: it becomes a part of the driver's data, which the bus drops
                // before the device is unbound.
                registration: unsafe { Registration::new(parts) }?,
                _vectors: vectors,
                _enabled: enabled,
            }))
        })
    }

    /// Takes the network device from the core while its PCI device still has its power.
    ///
    /// Dropping comes when the core may let it sleep already.
    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.registration.unregister();
    }
}

/// Declares a kernel module that is a [`Driver`], which see for an example.
#[macro_export]
macro_rules! module_pci_net_driver {
    ($($f:tt)*) => {
        ::kernel::module_driver!(
            <T>, $crate::bus::power::Bus<T>, { $($f)* }
        );
    };
}
