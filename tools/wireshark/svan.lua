-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- Wireshark dissector of Svan's congestion notifications (include/svan/notification.h, PRM
-- chapter "Enforcement").
--
--   tshark -X lua_script:tools/wireshark/svan.lua -r wire.pcap -Y svan_notification

local PORT = 4793
local MAGIC = 0x53764e43
local VERSION = 2
local LENGTH = 40

local kinds = { [1] = "RDMA", [2] = "TCP", [3] = "UDP", [4] = "IP" }

local proto = Proto("svan_notification", "Svan Congestion Notification")
local f = proto.fields
f.magic = ProtoField.uint32("svan_notification.magic", "Magic", base.HEX)
f.version = ProtoField.uint8("svan_notification.version", "Version")
f.kind = ProtoField.uint8("svan_notification.kind", "Kind of flow", base.DEC, kinds)
f.class = ProtoField.uint8("svan_notification.class", "Traffic class")
f.reserved = ProtoField.uint8("svan_notification.reserved", "Reserved", base.HEX)
f.sequence = ProtoField.uint32("svan_notification.sequence", "Sequence")
f.flow = ProtoField.uint32("svan_notification.flow", "Flow", base.HEX)
f.qpn = ProtoField.uint32("svan_notification.qpn", "Destination QPN", base.HEX)
f.sport = ProtoField.uint16("svan_notification.sport", "Source port")
f.dport = ProtoField.uint16("svan_notification.dport", "Destination port")
f.ip_protocol = ProtoField.uint32("svan_notification.ip_protocol", "IP protocol")
f.witness = ProtoField.uint32("svan_notification.witness", "Witness", base.HEX)
f.packets = ProtoField.uint32("svan_notification.packets", "Packets")
f.marks = ProtoField.uint32("svan_notification.marks", "Marks")
f.interval = ProtoField.uint32("svan_notification.interval", "Interval (ns)")
f.delay = ProtoField.uint32("svan_notification.delay", "Delay (ns)")
f.octets = ProtoField.uint32("svan_notification.octets", "Octets marked")

local malformed = ProtoExpert.new("svan_notification.malformed", "Not a valid notification",
	expert.group.MALFORMED, expert.severity.ERROR)
proto.experts = { malformed }

local function dissect_flow(tree, kind, buffer)
	if kind == 1 then
		tree:add(f.qpn, buffer)
	elseif kind == 2 or kind == 3 then
		tree:add(f.sport, buffer(0, 2))
		tree:add(f.dport, buffer(2, 2))
	else
		tree:add(f.ip_protocol, buffer)
	end
end

function proto.dissector(buffer, pinfo, root)
	local tree = root:add(proto, buffer())

	pinfo.cols.protocol = "SvanNotify"
	if buffer:len() ~= LENGTH or buffer(0, 4):uint() ~= MAGIC or
	   buffer(4, 1):uint() ~= VERSION or not kinds[buffer(5, 1):uint()] then
		tree:add_proto_expert_info(malformed)
		return
	end
	tree:add(f.magic, buffer(0, 4))
	tree:add(f.version, buffer(4, 1))
	tree:add(f.kind, buffer(5, 1))
	tree:add(f.class, buffer(6, 1))
	tree:add(f.reserved, buffer(7, 1))
	tree:add(f.sequence, buffer(8, 4))
	dissect_flow(tree:add(f.flow, buffer(12, 4)), buffer(5, 1):uint(), buffer(12, 4))
	tree:add(f.witness, buffer(16, 4))
	tree:add(f.packets, buffer(20, 4))
	tree:add(f.marks, buffer(24, 4))
	tree:add(f.interval, buffer(28, 4))
	tree:add(f.delay, buffer(32, 4))
	tree:add(f.octets, buffer(36, 4))
	pinfo.cols.info = string.format("%s flow 0x%08x, %u of %u packets marked, class %u",
		kinds[buffer(5, 1):uint()], buffer(12, 4):uint(), buffer(24, 4):uint(),
		buffer(20, 4):uint(), buffer(6, 1):uint())
end

DissectorTable.get("udp.port"):add(PORT, proto)
