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
        /// No new requests on the bus (82576).
        2:2     gio_master_disable => bool;
        /// Auto-speed detection (8254x).
        5:5     asde => bool;
        /// Set link up.
        6:6     slu => bool;
        /// Device reset; clears itself.
        26:26   rst => bool;
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

    // Statistics: reading clears them.

    /// Frames with a wrong CRC.
    pub(crate) CRCERRS(u32) @ 0x4000 { 31:0 packets; }
    /// Missed packets.
    pub(crate) MPC(u32) @ 0x4010 { 31:0 packets; }
    /// Frames that are too long or too short.
    pub(crate) RLEC(u32) @ 0x4040 { 31:0 packets; }
    /// Multicast packets.
    pub(crate) MPRC(u32) @ 0x407c { 31:0 packets; }

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
