// SPDX-License-Identifier: GPL-2.0

//! Registers of the 8254x, as far as they are used.
//!
//! Names and bits are those of the "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
//! Developer's Manual" (Intel 317453), chapter 13.

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
        /// Set link up.
        6:6     slu => bool;
        /// Auto-speed detection.
        5:5     asde => bool;
        /// Device reset; clears itself.
        26:26   rst => bool;
    }

    /// Device status.
    pub(crate) STATUS(u32) @ 0x8 {
        /// 0, 1: 10, 100 Mbit/s; 2, 3: 1 Gbit/s.
        7:6     speed;
        /// Link up.
        1:1     lu => bool;
        /// Full duplex.
        0:0     fd => bool;
    }

    /// EEPROM read.
    pub(crate) EERD(u32) @ 0x14 {
        31:16   data;
        15:8    address;
        4:4     done => bool;
        0:0     start => bool;
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

    /// Interrupt causes; reading acknowledges them.
    pub(crate) ICR(u32) @ 0xc0 {
        /// Link status change.
        2:2     lsc => bool;
        /// Receive sequence error: a link comes up.
        3:3     rxseq => bool;
    }

    /// Interrupt throttling, in units of 256 ns between two interrupts.
    pub(crate) ITR(u32) @ 0xc4 {
        15:0    interval;
    }

    /// Interrupt mask: set.
    pub(crate) IMS(u32) @ 0xd0 {
        /// A packet was sent.
        0:0     txdw => bool;
        /// Link status change.
        2:2     lsc => bool;
        /// Receive sequence error.
        3:3     rxseq => bool;
        /// Few receive descriptors left.
        4:4     rxdmt0 => bool;
        /// Receiver overrun.
        6:6     rxo => bool;
        /// A packet was received.
        7:7     rxt0 => bool;
    }

    /// Interrupt mask: clear.
    pub(crate) IMC(u32) @ 0xd8 {
        31:0    causes;
    }

    /// Receive control. Left at 0: buffers of 2048 bytes, no VLAN filter.
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
    }

    /// Transmit inter-packet gap.
    pub(crate) TIPG(u32) @ 0x410 {
        29:20   ipgr2;
        19:10   ipgr1;
        9:0     ipgt;
    }

    pub(crate) RDBAL(u32) @ 0x2800 { 31:0 address; }
    pub(crate) RDBAH(u32) @ 0x2804 { 31:0 address; }
    pub(crate) RDLEN(u32) @ 0x2808 { 19:0 bytes; }
    pub(crate) RDH(u32) @ 0x2810 { 15:0 index; }
    pub(crate) RDT(u32) @ 0x2818 { 15:0 index; }
    /// Receive interrupt delay, packet to packet, in units of 1.024 us.
    pub(crate) RDTR(u32) @ 0x2820 { 15:0 delay; }
    /// Receive interrupt delay, absolute.
    pub(crate) RADV(u32) @ 0x282c { 15:0 delay; }

    pub(crate) TDBAL(u32) @ 0x3800 { 31:0 address; }
    pub(crate) TDBAH(u32) @ 0x3804 { 31:0 address; }
    pub(crate) TDLEN(u32) @ 0x3808 { 19:0 bytes; }
    pub(crate) TDH(u32) @ 0x3810 { 15:0 index; }
    pub(crate) TDT(u32) @ 0x3818 { 15:0 index; }
    /// Transmit interrupt delay, in units of 1.024 us.
    pub(crate) TIDV(u32) @ 0x3820 { 15:0 delay; }
    /// Transmit interrupt delay, absolute.
    pub(crate) TADV(u32) @ 0x382c { 15:0 delay; }

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
        /// TCP and UDP.
        9:9     tuofl => bool;
        /// IP.
        8:8     ipofl => bool;
    }

    /// Multicast table: one bit for each hash value.
    pub(crate) MTA(u32)[128] @ 0x5200 { 31:0 bits; }

    /// Receive address 0, bytes 0 to 3.
    pub(crate) RAL(u32) @ 0x5400 { 31:0 address; }
    /// Receive address 0, bytes 4 and 5.
    pub(crate) RAH(u32) @ 0x5404 {
        /// Address valid.
        31:31   av => bool;
        15:0    address;
    }
}
