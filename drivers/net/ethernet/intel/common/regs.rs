// SPDX-License-Identifier: GPL-2.0

//! Registers that the 8254x and the 82576 have in common, by the names of their manuals.

use kernel::{
    io::register,
    pci,
    sizes::SizeConstants, //
};

/// Bytes of BAR 0.
pub(crate) const BAR_SIZE: usize = usize::SZ_128K;
/// The registers.
pub(crate) type Bar<'bound> = pci::Bar<'bound, BAR_SIZE>;

register! {
    /// Device control.
    pub(crate) CTRL(u32) @ 0x0 {
        /// Full duplex, if that is forced.
        0:0     fd => bool;
        /// No new requests on the bus (82576).
        2:2     gio_master_disable => bool;
        /// Auto-speed detection (8254x).
        5:5     asde => bool;
        /// Set link up.
        6:6     slu => bool;
        /// Speed, if that is forced: as in STATUS.
        9:8     speed;
        /// Speed and duplex are forced.
        11:11   frcspd => bool;
        12:12   frcdplx => bool;
        /// Device reset; clears itself.
        26:26   rst => bool;
        /// Heed pauses, and ask for them.
        27:27   rfce => bool;
        28:28   tfce => bool;
        /// Take VLAN tags out of received frames.
        30:30   vme => bool;
    }

    /// Device status.
    pub(crate) STATUS(u32) @ 0x8 {
        /// Full duplex.
        0:0     fd => bool;
        /// Link up.
        1:1     lu => bool;
        /// 0, 1: 10, 100 Mbit/s; 2, 3: 1 Gbit/s.
        7:6     speed;
        /// On a PCI-X bus (8254x).
        13:13   pcix => bool;
        /// Requests on the bus are not finished (82576).
        19:19   gio_master_enable => bool;
    }

    /// Access to the PHY's registers.
    pub(crate) MDIC(u32) @ 0x20 {
        30:30   error => bool;
        28:28   ready => bool;
        /// 1 writes, 2 reads.
        27:26   op;
        25:21   phy;
        20:16   register;
        15:0    data;
    }

    /// The frames that ask for a pause: address, type, and how long.
    pub(crate) FCAL(u32) @ 0x28 { 31:0 address; }
    pub(crate) FCAH(u32) @ 0x2c { 15:0 address; }
    pub(crate) FCT(u32) @ 0x30 { 15:0 ethertype; }
    pub(crate) FCTTV(u32) @ 0x170 { 15:0 time; }
    /// They are sent when there are more bytes in the receive buffer than in the second, and once more when there are fewer
    /// than in the first.
    pub(crate) FCRTL(u32) @ 0x2160 {
        31:31   xone => bool;
        15:0    bytes;
    }
    pub(crate) FCRTH(u32) @ 0x2168 { 15:0 bytes; }

    /// LEDs: four bytes.
    pub(crate) LEDCTL(u32) @ 0xe00 { 31:0 leds; }

    /// Receive control. Left at 0: no VLAN filter, and for the 8254x buffers of 2048 bytes.
    pub(crate) RCTL(u32) @ 0x100 {
        /// Enable.
        1:1     en => bool;
        /// Unicast promiscuous.
        3:3     upe => bool;
        /// Multicast promiscuous.
        4:4     mpe => bool;
        /// Long packets: more than 1522 bytes.
        5:5     lpe => bool;
        /// Broadcasts.
        15:15   bam => bool;
        /// VLAN filter (82576).
        18:18   vfe => bool;
        /// Strip the CRC.
        26:26   secrc => bool;
    }

    /// Transmit control.
    pub(crate) TCTL(u32) @ 0x400 {
        /// Enable.
        1:1     en => bool;
        /// Pad short packets.
        3:3     psp => bool;
        /// Collision threshold.
        11:4    ct;
        /// Collision distance.
        21:12   cold;
        /// Retransmit after a late collision.
        24:24   rtlc => bool;
    }

    /// Receive checksum offload.
    pub(crate) RXCSUM(u32) @ 0x5000 {
        /// IP.
        8:8     ipofl => bool;
        /// TCP and UDP.
        9:9     tuofl => bool;
        /// SCTP (82576).
        11:11   crcofl => bool;
        /// The descriptor has the RSS hash, and not the checksum of the packet (82576).
        13:13   pcsd => bool;
    }

    /// Multicast table: one bit for each hash value.
    pub(crate) MTA(u32)[128] @ 0x5200 { 31:0 bits; }

    /// Receive address, bytes 0 to 3; number 0 is the card's own. (The 82576 has eight more elsewhere.)
    pub(crate) RAL(u32)[16, stride = 8] @ 0x5400 { 31:0 address; }
    /// Receive address, bytes 4 and 5.
    pub(crate) RAH(u32)[16, stride = 8] @ 0x5404 {
        /// Address valid.
        31:31   av => bool;
        /// The pools that get it (82576).
        25:18   pools;
        15:0    address;
    }
}
