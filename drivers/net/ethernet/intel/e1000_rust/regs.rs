// SPDX-License-Identifier: GPL-2.0

//! Registers of the 8254x, as far as they are used.
//!
//! Names and bits are those of the "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
//! Developer's Manual" (Intel 317453), chapter 13.

#[path = "../common/regs.rs"]
mod common;

pub(crate) use common::*;

use kernel::io::register;

register! {
    /// EEPROM read.
    pub(crate) EERD(u32) @ 0x14 {
        31:16   data;
        15:8    address;
        4:4     done => bool;
        0:0     start => bool;
    }

    /// EEPROM control.
    pub(crate) EECD(u32) @ 0x10 {
        /// It has 256 words, and not 64.
        9:9     large => bool;
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

    /// Interrupt causes: set.
    pub(crate) ICS(u32) @ 0xc8 {
        2:2     lsc => bool;
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

    /// Transmit inter-packet gap.
    pub(crate) TIPG(u32) @ 0x410 {
        29:20   ipgr2;
        19:10   ipgr1;
        9:0     ipgt;
    }

    /// Packet buffer allocation: KiB for what is received; the rest, of 64, is for what is sent.
    pub(crate) PBA(u32) @ 0x1000 { 15:0 rxa; }

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

}
