import CJail

/// Where the child looks for the disks of its container, each under its serial number.
public enum DiskPlace {
    public static var directory: String { CJAIL_DISKS }
}
