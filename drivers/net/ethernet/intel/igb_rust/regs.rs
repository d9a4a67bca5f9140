// SPDX-License-Identifier: GPL-2.0

//! Registers of the 82576, as far as they are used.
//!
//! Names and bits are those of the "Intel 82576EB Gigabit Ethernet Controller Datasheet" (321027), chapter 8.

#[path = "../common/regs.rs"]
mod common;

pub(crate) use common::*;

use kernel::io::register;

/// The most queue pairs that are used: with one more for the link, the card has 10 vectors in QEMU.
pub(crate) const QUEUES: usize = 8;

register! {
    /// Extended device control.
    pub(crate) CTRL_EXT(u32) @ 0x18 {
        /// A driver is there: management firmware leaves the port to it.
        28:28   drv_load => bool;
    }

    /// EEPROM control.
    pub(crate) EECD(u32) @ 0x10 {
        /// The card has read its settings.
        9:9     auto_rd => bool;
        /// How large the EEPROM is: 64 words, twice as many, and so on.
        14:11   size;
    }
    /// EEPROM read.
    pub(crate) EERD(u32) @ 0x14 {
        31:16   data;
        15:2    address;
        1:1     done => bool;
        0:0     start => bool;
    }

    /// Causes that are not a queue's; reading acknowledges them. (Also at 0x1500, with the masks behind it, but not
    /// in QEMU.)
    pub(crate) ICR(u32) @ 0xc0 {
        /// Link status change.
        2:2     lsc => bool;
    }
    /// Mask of those: set.
    pub(crate) IMS(u32) @ 0xd0 {
        2:2     lsc => bool;
    }
    /// Mask of those: clear.
    pub(crate) IMC(u32) @ 0xd8 { 31:0 causes; }

    /// How interrupts are raised.
    pub(crate) GPIE(u32) @ 0x1514 {
        /// Reading ICR clears it.
        0:0     nsicr => bool;
        /// A message for each vector.
        4:4     multiple_msix => bool;
        /// EIAM counts for MSI-X.
        30:30   eiame => bool;
        /// Pending bits are cleared by themselves.
        31:31   pba_support => bool;
    }
    /// Raises vectors.
    pub(crate) EICS(u32) @ 0x1520 { 31:0 vectors; }
    /// Mask of the vectors: set.
    pub(crate) EIMS(u32) @ 0x1524 { 31:0 vectors; }
    /// Mask of the vectors: clear.
    pub(crate) EIMC(u32) @ 0x1528 { 31:0 vectors; }
    /// Which vectors' causes are cleared as they are raised.
    pub(crate) EIAC(u32) @ 0x152c { 31:0 vectors; }
    /// Which vectors are masked as they are raised.
    pub(crate) EIAM(u32) @ 0x1530 { 31:0 vectors; }
    /// Throttling of a vector, in microseconds between two interrupts.
    pub(crate) EITR(u32)[10] @ 0x1680 { 14:2 interval; }
    /// Which vectors queue n, and queue n + 8, raise.
    pub(crate) IVAR(u32)[8] @ 0x1700 {
        7:7     rx_valid => bool;
        4:0     rx;
        15:15   tx_valid => bool;
        12:8    tx;
        31:31   other_tx_valid => bool;
        28:24   other_tx;
    }
    /// Which vector other causes raise.
    pub(crate) IVAR_MISC(u32) @ 0x1740 {
        15:15   other_valid => bool;
        12:8    other;
    }

    /// The longest packet, with its CRC.
    pub(crate) RLPML(u32) @ 0x5004 { 13:0 bytes; }
    /// Receive filter control.
    pub(crate) RFCTL(u32) @ 0x5008 {
        /// No look at extension headers of IPv6, which the card gets wrong.
        16:16   ipv6_ex_dis => bool;
    }
    /// Multiple receive queues.
    pub(crate) MRQC(u32) @ 0x5818 {
        /// 2: by the RSS hash; 3: by MAC address and VLAN.
        2:0     enable;
        16:16   tcp_ipv4 => bool;
        17:17   ipv4 => bool;
        18:18   tcp_ipv6_ex => bool;
        20:20   ipv6 => bool;
        21:21   tcp_ipv6 => bool;
    }
    /// The queue for each value of the low 7 bits of the hash, four in a register.
    pub(crate) RETA(u32)[32] @ 0x5c00 { 31:0 queues; }
    /// The key of the hash.
    pub(crate) RSSRK(u32)[10] @ 0x5c80 { 31:0 key; }
    /// Which headers are parsed for the queue.
    pub(crate) PSRTYPE(u32)[8] @ 0x5480 { 31:0 headers; }

    // VMDq: see vmdq.rs.

    /// Control of virtualization.
    pub(crate) VT_CTL(u32) @ 0x581c {
        /// There is no pool for what no other one gets. (That is number 0.)
        29:29   dis_def_pool => bool;
        /// What is for several pools is copied.
        30:30   repl_en => bool;
    }
    /// Offloads of a pool, and what it accepts.
    pub(crate) VMOLR(u32)[8] @ 0x5ad0 {
        /// The longest packet, with its CRC.
        13:0    rlpml;
        /// Long packets.
        16:16   lpe => bool;
        /// Packets without a tag.
        24:24   aupe => bool;
        /// Multicast packets, by the table.
        25:25   rompe => bool;
        /// Broadcasts.
        27:27   bam => bool;
        /// All multicast packets.
        28:28   mpme => bool;
        /// Take the VLAN tag out.
        30:30   strvlan => bool;
        /// Strip the CRC.
        31:31   strcrc => bool;
    }
    /// The same for what several pools get.
    pub(crate) RPLOLR(u32) @ 0x5af0 { 30:30 strvlan => bool; }
    /// The pools of a VLAN.
    pub(crate) VLVF(u32)[32] @ 0x5d00 {
        31:31   enable => bool;
        19:12   pools;
        11:0    vlan;
    }
    /// The VLANs that are received, a bit for each.
    pub(crate) VFTA(u32)[128] @ 0x5600 { 31:0 vlans; }
    /// The pools that receive.
    pub(crate) VFRE(u32) @ 0xc8c { 31:0 pools; }
    /// The pools that send.
    pub(crate) VFTE(u32) @ 0xc90 { 31:0 pools; }
    /// More receive addresses.
    pub(crate) RAL2(u32)[8, stride = 8] @ 0x54e0 { 31:0 address; }
    pub(crate) RAH2(u32)[8, stride = 8] @ 0x54e4 { 31:0 address; }

    pub(crate) RDBAL(u32)[16, stride = 0x40] @ 0xc000 { 31:0 address; }
    pub(crate) RDBAH(u32)[16, stride = 0x40] @ 0xc004 { 31:0 address; }
    pub(crate) RDLEN(u32)[16, stride = 0x40] @ 0xc008 { 19:0 bytes; }
    /// Split and replication receive control.
    pub(crate) SRRCTL(u32)[16, stride = 0x40] @ 0xc00c {
        /// Bytes of a buffer, in KiB.
        6:0     bsizepacket;
        /// Bytes of a buffer for headers, in 64.
        13:8    bsizeheader;
        /// 1: advanced descriptors, one buffer each; 2: and one for headers.
        27:25   desctype;
        /// Without descriptors packets are dropped, and do not keep those of other queues from coming.
        31:31   drop_en => bool;
    }
    pub(crate) RDH(u32)[16, stride = 0x40] @ 0xc010 { 15:0 index; }
    /// Packets dropped for want of descriptors; reading clears it.
    pub(crate) RQDPC(u32)[16, stride = 0x40] @ 0xc030 { 31:0 packets; }
    pub(crate) RDT(u32)[16, stride = 0x40] @ 0xc018 { 15:0 index; }
    /// Receive descriptor control.
    pub(crate) RXDCTL(u32)[16, stride = 0x40] @ 0xc028 {
        4:0     pthresh;
        12:8    hthresh;
        20:16   wthresh;
        25:25   enable => bool;
    }

    pub(crate) TDBAL(u32)[16, stride = 0x40] @ 0xe000 { 31:0 address; }
    pub(crate) TDBAH(u32)[16, stride = 0x40] @ 0xe004 { 31:0 address; }
    pub(crate) TDLEN(u32)[16, stride = 0x40] @ 0xe008 { 19:0 bytes; }
    pub(crate) TDH(u32)[16, stride = 0x40] @ 0xe010 { 15:0 index; }
    pub(crate) TDT(u32)[16, stride = 0x40] @ 0xe018 { 15:0 index; }
    /// Transmit descriptor control.
    pub(crate) TXDCTL(u32)[16, stride = 0x40] @ 0xe028 {
        4:0     pthresh;
        12:8    hthresh;
        20:16   wthresh;
        25:25   enable => bool;
    }
    /// Where the head is written to, if bit 0 is set.
    pub(crate) TDWBAL(u32)[16, stride = 0x40] @ 0xe038 { 31:0 address; }
    pub(crate) TDWBAH(u32)[16, stride = 0x40] @ 0xe03c { 31:0 address; }
}
