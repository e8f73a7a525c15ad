"""The recipe of RealPref-50K as one button: from source images to a filtered, frozen data set, every step a job."""
