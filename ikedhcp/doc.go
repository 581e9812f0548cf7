// Package ikedhcp carries DHCP over IKEv2 (draft-ietf-ipsec-dhcp-over-ike-dhcpd-00).
package ikedhcp
