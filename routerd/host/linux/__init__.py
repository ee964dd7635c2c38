"""The Linux host: netlink for links, addresses and routes; CLOCK_BOOTTIME. Nothing outside this folder and
`endpoints` knows Linux."""
